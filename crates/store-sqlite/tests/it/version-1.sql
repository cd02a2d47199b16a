-- A store as version 1 wrote it. It never changes: files like it are out there.
PRAGMA application_id = 1667853688;
PRAGMA user_version = 1;
CREATE TABLE streams (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  aggregate BLOB NOT NULL CHECK (length(aggregate) = 16),
  version INTEGER NOT NULL,
  UNIQUE (kind, aggregate)
) STRICT;
CREATE TABLE events (
  position INTEGER PRIMARY KEY,
  stream INTEGER NOT NULL REFERENCES streams (id),
  version INTEGER NOT NULL CHECK (version > 0),
  id BLOB NOT NULL CHECK (length(id) = 16),
  type TEXT NOT NULL,
  schema INTEGER NOT NULL,
  at INTEGER NOT NULL,
  correlation ANY NOT NULL,
  causation ANY NOT NULL,
  sum INTEGER NOT NULL,
  meta TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_of_streams ON events (stream, version);
CREATE UNIQUE INDEX events_by_id ON events (id);
CREATE INDEX events_by_correlation ON events (correlation);
CREATE INDEX events_by_causation ON events (causation);
CREATE TABLE store (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  published INTEGER NOT NULL
) STRICT;
CREATE TABLE published_ahead (position INTEGER PRIMARY KEY) STRICT;
CREATE TABLE snapshots (
  stream INTEGER PRIMARY KEY REFERENCES streams (id),
  version INTEGER NOT NULL,
  schema INTEGER NOT NULL,
  state TEXT NOT NULL
) STRICT;
CREATE TABLE projections (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  schema INTEGER NOT NULL,
  position INTEGER NOT NULL
) STRICT;
CREATE TABLE rows (
  projection INTEGER NOT NULL REFERENCES projections (id),
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (projection, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE intents (
  number INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  at INTEGER NOT NULL,
  stream TEXT NOT NULL,
  expected INTEGER NOT NULL,
  events BLOB NOT NULL,
  plan TEXT NOT NULL
) STRICT;
CREATE TABLE blobs (
  hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
  bytes BLOB NOT NULL
) STRICT;
INSERT INTO streams VALUES (1, 'flake', X'00000000000000000000000000000001', 3);
INSERT INTO streams VALUES (2, 'module', X'00000000000000000000000000000002', 2);
INSERT INTO streams VALUES (3, 'flake', X'00000000000000000000000000000003', 1);
INSERT INTO events VALUES (1, 1, 1, X'0198F7A27C0070008000000000000001', 'FlakeUpdated', 1, 1795530059000001, X'0000000000000000000000000000005A', X'0000000000000000000000000000005A', -8332821670126206799, '{"actor":"ü"}', '{"name":"first"}');
INSERT INTO events VALUES (2, 2, 1, X'0198F7A27C0070008000000000000002', 'FlakeUpdated', 1, 1795530059000002, X'0000000000000000000000000000005A', X'0000000000000000000000000000005B', 4862515919264813093, '{"actor":"ü"}', '{"name":"größer"}');
INSERT INTO events VALUES (3, 1, 2, X'0198F7A27C0070008000000000000003', 'FlakeUpdated', 1, 1795530059000003, 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi', X'0000000000000000000000000000005B', -3537238871081547886, '{"actor":"ü"}', '"long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long "');
INSERT INTO events VALUES (4, 1, 3, X'0198F7A27C0070008000000000000004', 'FlakeUpdated', 1, 1795530059000004, 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi', 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi', -776277231232420488, '{"actor":"ü"}', '[3]');
INSERT INTO events VALUES (5, 2, 2, X'0198F7A27C0070008000000000000005', 'FlakeUpdated', 1, 1795530059000005, X'0000000000000000000000000000005C', 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi', 219949961409111472, '{"actor":"ü"}', '{ "space" : 1.0 }');
INSERT INTO events VALUES (6, 3, 1, X'0198F7A27C0070008000000000000006', 'FlakeUpdated', 1, 1795530059000006, X'0000000000000000000000000000005A', X'0000000000000000000000000000005A', -828622390557553282, '{"actor":"ü"}', '5');
INSERT INTO store VALUES (1, 2);
INSERT INTO published_ahead VALUES (4);
INSERT INTO snapshots VALUES (1, 2, 1, '{}');
