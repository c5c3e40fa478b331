-- Vectors beside words. A document is found by words once it is indexed, and is complete when it is embedded too.

-- +goose Up
-- An embedding space: what made vectors that may be compared. One serves; another may be built beside it.
CREATE TABLE space (
    id         TEXT PRIMARY KEY, -- embedder/version/dimensions
    state      TEXT NOT NULL,    -- building, serving, previous, rejected, dropped
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX space_serving ON space (state) WHERE state = 'serving';

-- Which generation of a document's passages has its vectors in a space.
CREATE TABLE document_space (
    document_id TEXT NOT NULL,
    space       TEXT NOT NULL,
    generation  BIGINT NOT NULL,
    PRIMARY KEY (document_id, space)
);
CREATE INDEX document_space_space ON document_space (space, document_id);

-- The vectors themselves, little-endian float32; segments have them in fewer bits.
CREATE TABLE vector (
    passage_id  TEXT NOT NULL,
    space       TEXT NOT NULL,
    document_id TEXT NOT NULL,
    generation  BIGINT NOT NULL, -- of the passage
    data        BYTEA NOT NULL,
    PRIMARY KEY (passage_id, space)
);
CREATE INDEX vector_document ON vector (document_id, generation);
CREATE INDEX vector_space ON vector (space);

ALTER TABLE segment ADD COLUMN space TEXT NOT NULL DEFAULT ''; -- of its vectors; '' is a segment of words
ALTER TABLE segment ADD COLUMN known DOUBLE PRECISION NOT NULL DEFAULT 0; -- the sum of what the embedder knew of each passage, 0 to 1
DROP INDEX segment_workspace;
CREATE INDEX segment_workspace ON segment (workspace, live, space, id);

UPDATE document SET stage = 'embedded' WHERE stage = 'indexed';

-- +goose Down
UPDATE document SET stage = 'indexed' WHERE stage = 'embedded';
DELETE FROM segment_slice WHERE segment_id IN (SELECT id FROM segment WHERE space <> '');
DELETE FROM segment_document WHERE segment_id IN (SELECT id FROM segment WHERE space <> '');
DELETE FROM segment WHERE space <> '';
DROP INDEX segment_workspace;
ALTER TABLE segment DROP COLUMN known;
ALTER TABLE segment DROP COLUMN space;
CREATE INDEX segment_workspace ON segment (workspace, live, id);
DROP TABLE vector;
DROP TABLE document_space;
DROP TABLE space;
