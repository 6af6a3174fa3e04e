// Package store keeps a node's boards on disk. It is the only writer: Append (own entries) and Ingest (records of other
// nodes) are the two doors in, everyone else is nudged and then reads what comes after its own position.
//
// One goroutine, the committer, drains a bounded queue, writes one Badger transaction per group, fsynced, applies what
// changed to the state in memory and only then acknowledges. All state in memory can be made again from disk, which is
// what happens at Open and after a commit whose outcome is unknown.
//
// # On disk
//
// Keys begin with a table byte; integers are big-endian. A log number is this store's short name for one (board, node,
// epoch), so a position is (log, seq).
//
//	m log4 seq8            record: crc, flags, received hlc, link and hash where not derivable, head signature, entry
//	h board16 hlc8 entry16 where the shown entry stands (log, seq): display order
//	e board16 post16       the records of a post (author, client_msg_id), and which of them shows
//	i entry16              where an entry's first record stands
//	w entry16 entry16      an entry that came before the one that its dev_prev names
//	d board16 device32     what was last seen of a device in a board
//	b log4 chunk4          512 bits of a log: which records stand for a shown entry that counts as unread
//	u user16 log4 chunk4   512 bits of a log: which records are by a local user
//	j log4 seq8            other records of the shown entry that stands here
//	v log4                 the stretch held of a log, its last signed head, and the bits of its last chunk
//	o log4                 board, node and epoch of a log
//	f log4                 rows of a log whose records are to be judged again
//	x log4                 rows of a log that are damaged and awaited from peers
//	y log4                 rows of a log whose entries' rights are to be judged again
//	l log4                 rows of a log whose entries were pending when they were judged again
//	q team32               from where on all of a team is to be judged again (log, seq)
//	z board16 hlc8 entry16 where a void entry stands: their display order
//	c log4 kind1 id32      who signed something in the logs of its node and board: user, device, invite
//	g board16 node32 epoch16 seq8 the proof that a node signed two contents under one number
//	a arrival8             the changes of one commit, from this arrival on
//	r user32 board16       read mark
//	t team32               a team that this node takes part in
//	k …                    small settings of other packages
//	s …                    the store itself: format, id, epoch counter
//
// Every value ends in a crc32c over its table byte, key and content: Badger can return damaged values, or end a scan
// early, without an error. Reads of rows check that seqs run without a hole.
package store
