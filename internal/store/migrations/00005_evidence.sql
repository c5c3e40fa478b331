-- What has become of the sources of citations, and what models have said about claims.

-- +goose Up
ALTER TABLE citation_document ADD COLUMN generation BIGINT NOT NULL DEFAULT 0; -- of the text that was cited; 0 is unknown
ALTER TABLE citation ADD COLUMN orphan BIGINT NOT NULL DEFAULT 0; -- a document that it quotes was deleted
UPDATE citation SET orphan = 1 WHERE spans LIKE '%"source_deleted":true%';

-- What a model found when it was asked whether spans say a claim; asked once.
CREATE TABLE judgement (
    id         TEXT PRIMARY KEY, -- a hash of workspace, claim, spans and model
    workspace  TEXT NOT NULL,
    answer     TEXT NOT NULL,    -- JSON
    created_at BIGINT NOT NULL
);
-- Which documents an answer quotes: it goes with the first of them.
CREATE TABLE judgement_document (
    document_id  TEXT NOT NULL,
    judgement_id TEXT NOT NULL REFERENCES judgement (id) ON DELETE CASCADE,
    PRIMARY KEY (document_id, judgement_id)
);
CREATE INDEX judgement_document_judgement ON judgement_document (judgement_id);

-- +goose Down
DROP TABLE judgement_document;
DROP TABLE judgement;
ALTER TABLE citation DROP COLUMN orphan;
ALTER TABLE citation_document DROP COLUMN generation;
