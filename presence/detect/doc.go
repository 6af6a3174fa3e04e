// Package detect finds out which of the nodes that share a team with this one run. A Detector is pure: it is told what
// happens (events) with the time, and answers with what to do (effects). The same events at the same times with the same
// random numbers give the same effects. package p2p carries them out.
//
// It is SWIM (A. Das, I. Gupta, A. Motivala: "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership
// Protocol", DSN 2002) with the local health of Lifeguard (A. Dadgar, J. Phillips, J. Currey: "Lifeguard: Local Health
// Awareness for More Accurate Failure Detection", DSN 2018), and differs from both in two things.
//
// First, a node probes not only a random neighbour each second but also the one after itself in the circle of each shared
// team's living nodes by id, at least every two seconds where there are few such. With random probes alone nobody happens
// to ask a node that has died for as long as 4.6 s once in a hundred deaths (e^-4.6), which is all the time there is.
//
// Second, nobody believes a suspicion. Who hears one asks the suspect itself and through others, and anything heard from
// it after that is life, and is said to the accuser. So one node that lies, or whose own links are bad, kills nobody; and
// as every node that shares a team asks for itself anyway, death need not be announced.
//
//	probe ──no answer in srtt+4·rttvar (0.3 to 5 s)──▶ three others probe it in our place
//	  ──silence──▶ suspected: said to whoever shares a team with it and hasn't heard
//	  ──patience (1.5 s, or 3 time-outs; more with measured loss and with our own poor health)──▶ dead
//
// A connection that is lost and not found again within 2 s leads to the second step. A suspect that hears of it says, with
// a higher incarnation under its signature, that it runs; such words are passed on to who accused it. A word with a later
// boot replaces what was known of an earlier one, and a goodbye ends it at once.
//
// Others are believed about a third node what it has signed, and nothing else: who probes it in our place brings its signature
// of bytes that we chose. So a liar doesn't keep a dead node alive either.
//
// A loop that is late takes what it lost off all deadlines. Its health recovers by itself, by one in half a second, and deadlines
// go by our health as it is when they are looked at: a machine that was busy finds a death in time again a few seconds after.
// What was measured while one of both sides was late says little of the way between them; who answers says whether it was.
package detect
