// Empty: it lets rest.go declare functions without bodies.
