-- Times are nanoseconds since 1970 in UTC. Addresses are canonical text.

-- One row of the host view as portreeve.host/1 writes it, kept once however
-- many snapshots hold it. hash is the SHA-256 of body.
CREATE TABLE socket (
	id   INTEGER PRIMARY KEY,
	hash BLOB NOT NULL UNIQUE,
	body BLOB NOT NULL
);

-- A list of rows, kept once too: a snapshot of an unchanged host costs one
-- row. hash is the SHA-256 of the rows' hashes in order.
CREATE TABLE listing (
	id   INTEGER PRIMARY KEY,
	hash BLOB NOT NULL UNIQUE
);
CREATE TABLE listed (
	listing  INTEGER NOT NULL REFERENCES listing(id) ON DELETE CASCADE,
	position INTEGER NOT NULL,
	socket   INTEGER NOT NULL REFERENCES socket(id),
	PRIMARY KEY (listing, position)
) WITHOUT ROWID;
CREATE INDEX listed_socket ON listed(socket);

CREATE TABLE snapshot (
	id       INTEGER PRIMARY KEY,
	name     TEXT NOT NULL UNIQUE,
	taken    INTEGER NOT NULL,
	host     TEXT NOT NULL,
	self     TEXT NOT NULL, -- {id, name} of the reader's namespace
	view     TEXT NOT NULL, -- drift.View
	gaps     TEXT NOT NULL, -- [{view, why}]
	gap_count INTEGER NOT NULL,
	rows     INTEGER NOT NULL,
	listing  INTEGER NOT NULL REFERENCES listing(id),
	baseline INTEGER NOT NULL, -- 1: saved by a person, never pruned
	chosen   INTEGER NOT NULL  -- 1: the default to compare with
);
CREATE INDEX snapshot_taken ON snapshot(taken);
CREATE INDEX snapshot_listing ON snapshot(listing);

-- The life of a listener. closed is NULL while it is open.
CREATE TABLE life (
	id     INTEGER PRIMARY KEY,
	proto  TEXT NOT NULL,
	addr   TEXT NOT NULL,
	port   INTEGER NOT NULL,
	netns  TEXT NOT NULL,
	device TEXT NOT NULL,
	socket INTEGER NOT NULL REFERENCES socket(id),
	opened INTEGER NOT NULL,
	exact  INTEGER NOT NULL, -- 1: seen to open, 0: found open
	seen   INTEGER NOT NULL,
	closed INTEGER,
	ended  TEXT NOT NULL,
	source TEXT NOT NULL
);
CREATE INDEX life_port ON life(port, proto, opened);
CREATE INDEX life_closed ON life(closed);
CREATE INDEX life_socket ON life(socket);

CREATE TABLE event (
	id     INTEGER PRIMARY KEY,
	at     INTEGER NOT NULL,
	kind   TEXT NOT NULL,
	proto  TEXT NOT NULL,
	addr   TEXT NOT NULL,
	port   INTEGER NOT NULL,
	netns  TEXT NOT NULL,
	device TEXT NOT NULL,
	was    INTEGER REFERENCES socket(id),
	became INTEGER REFERENCES socket(id),
	source TEXT NOT NULL
);
CREATE INDEX event_port ON event(port, proto, at);
CREATE INDEX event_at ON event(at);
CREATE INDEX event_was ON event(was);
CREATE INDEX event_became ON event(became);

-- Who used what within span seconds from at. client '' stands for those that
-- were too many to be kept one by one; clients counts them.
CREATE TABLE usage (
	port    INTEGER NOT NULL,
	proto   TEXT NOT NULL,
	addr    TEXT NOT NULL,
	span    INTEGER NOT NULL, -- 60, 3600 or 86400
	at      INTEGER NOT NULL,
	client  TEXT NOT NULL,
	clients INTEGER NOT NULL,
	packets INTEGER NOT NULL,
	bytes   INTEGER NOT NULL,
	connections INTEGER NOT NULL,
	PRIMARY KEY (port, proto, at, span, addr, client)
) WITHOUT ROWID;
CREATE INDEX usage_age ON usage(span, at);

-- Spans in which every use, or every listener, would have been seen.
CREATE TABLE watched (
	id     INTEGER PRIMARY KEY,
	what   TEXT NOT NULL,
	source TEXT NOT NULL,
	start  INTEGER NOT NULL,
	stop   INTEGER NOT NULL
);
CREATE INDEX watched_stop ON watched(what, stop);

-- resolved is NULL while the finding stands. source is who raises it.
CREATE TABLE finding (
	id       INTEGER PRIMARY KEY,
	source   TEXT NOT NULL,
	fid      TEXT NOT NULL, -- exposure.Finding.ID
	rule     TEXT NOT NULL,
	endpoint TEXT NOT NULL,
	proto    TEXT NOT NULL,
	port     INTEGER NOT NULL,
	body     BLOB NOT NULL,
	opened   INTEGER NOT NULL,
	seen     INTEGER NOT NULL,
	resolved INTEGER
);
CREATE UNIQUE INDEX finding_open ON finding(source, fid) WHERE resolved IS NULL;
CREATE INDEX finding_port ON finding(port, proto, opened);
CREATE INDEX finding_opened ON finding(opened);
CREATE INDEX finding_resolved ON finding(resolved);

CREATE TABLE note (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID;
