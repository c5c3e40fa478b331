-- Changes that are offered, and the way back and forth through what was done.

-- +goose Up
CREATE TABLE proposal (
    id           TEXT PRIMARY KEY,
    draft_id     TEXT NOT NULL REFERENCES draft (id) ON DELETE CASCADE,
    run_id       TEXT NOT NULL DEFAULT '',
    base_version BIGINT NOT NULL,
    author       TEXT NOT NULL DEFAULT '',
    reason       TEXT NOT NULL DEFAULT '',
    title        TEXT NOT NULL DEFAULT '', -- the new one with its state, as JSON
    hunks        TEXT NOT NULL,            -- with their states and citations, as JSON
    status       TEXT NOT NULL,
    version      BIGINT NOT NULL DEFAULT 0, -- that accepting it made last
    created_at   BIGINT NOT NULL
);
CREATE INDEX proposal_draft ON proposal (draft_id, id);
ALTER TABLE draft ADD COLUMN undo_head BIGINT NOT NULL DEFAULT 0; -- the version whose text stands, however it came back
ALTER TABLE draft ADD COLUMN redo TEXT NOT NULL DEFAULT '[]'; -- numbers of versions that were undone, the next one last
ALTER TABLE draft_version ADD COLUMN follows BIGINT NOT NULL DEFAULT 0; -- what stood before it, and an undo brings back
UPDATE draft SET undo_head = version;
UPDATE draft_version SET follows = number - 1;

-- +goose Down
ALTER TABLE draft_version DROP COLUMN follows;
ALTER TABLE draft DROP COLUMN redo;
ALTER TABLE draft DROP COLUMN undo_head;
DROP TABLE proposal;
