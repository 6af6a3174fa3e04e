package mutants

// bugs are what the checker and the tests must be able to find.
var bugs = []bug{}
