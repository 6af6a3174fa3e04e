// Package trust evaluates a team's records a second time, in the plainest way there is: from scratch, with sets and
// recursion, from the text of the rules alone. Package team does the same fast and bit by bit; tests give both the same
// random histories and demand one answer, so that a mistake in either shows. Of team it uses only the decoder of objects.
//
// The order, in which no step looks back at a later one: records → chains and "under a cut" → people's charters and
// devices → the team's charters → operations → registers of nodes → which records count → admissions and quotas →
// registers of people → who may receive → entries.
//
// It is for tests and for tools that test; no part of weft uses it.
package trust
