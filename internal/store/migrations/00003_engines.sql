-- What search engines outside hold, so that they can be fed with what they lack after anything that happens.

-- +goose Up
-- The name of this library, by which engines that several installations share tell their indexes apart.
CREATE TABLE installation (
    one BIGINT PRIMARY KEY, -- 1
    id  TEXT NOT NULL
);

-- A generation of an engine's index. One serves; another is built beside it.
CREATE TABLE engine_generation (
    engine     TEXT NOT NULL, -- elasticsearch, chroma
    name       TEXT NOT NULL,
    space      TEXT NOT NULL, -- of its vectors; '' has none
    dims       BIGINT NOT NULL,
    serving    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (engine, name)
);

-- What a generation holds of a document. The row is written before the engine is asked to hold it, so that nothing that was
-- sent is ever forgotten.
CREATE TABLE engine_document (
    engine      TEXT NOT NULL,
    name        TEXT NOT NULL, -- of the generation
    workspace   TEXT NOT NULL,
    document_id TEXT NOT NULL,
    generation  BIGINT NOT NULL, -- of the passages; 0 while they are being sent
    meant       BIGINT NOT NULL, -- with the vectors of the space
    passages    BIGINT NOT NULL,
    digest      BIGINT NOT NULL, -- the sum of their hashes, modulo 2^64
    refused     TEXT NOT NULL DEFAULT '', -- why the engine does not take some of them
    passage_ids TEXT NOT NULL DEFAULT '', -- that it may hold, one a line
    PRIMARY KEY (engine, name, document_id)
);
CREATE INDEX engine_document_workspace ON engine_document (engine, name, workspace, document_id);
CREATE INDEX run_sync ON run (workspace, subject_id, ended_at) WHERE kind = 'sync';

-- +goose Down
DROP INDEX run_sync;
DROP TABLE engine_document;
DROP TABLE engine_generation;
DROP TABLE installation;
