// Package weft holds no code. The program is cmd/weft; ARCHITECTURE.md is the map of the house, docs/PROTOCOL.md says what
// travels between nodes, docs/API.md what clients can ask for. The tests here keep the rules of the house.
package weft
