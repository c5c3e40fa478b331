-- Sessions: messages as a tree, and a log of their own beside those of their runs.

-- +goose Up
CREATE TABLE session (
    id           TEXT PRIMARY KEY,
    workspace    TEXT NOT NULL REFERENCES workspace (id),
    name         TEXT NOT NULL DEFAULT '',
    name_key     TEXT NOT NULL DEFAULT '', -- in lower case, to search in
    llm_provider TEXT NOT NULL DEFAULT '',
    llm_model    TEXT NOT NULL DEFAULT '',
    profile      TEXT NOT NULL DEFAULT '',
    tags         TEXT NOT NULL DEFAULT '[]',
    settings     TEXT NOT NULL DEFAULT '{}',
    state        TEXT NOT NULL DEFAULT '{}',
    version      BIGINT NOT NULL DEFAULT 1, -- counts changes of the session itself, for ETag
    last_seq     BIGINT NOT NULL DEFAULT 0, -- session_seq of the newest event, of run_event or session_event
    touched      TEXT NOT NULL,             -- a ULID of the newest message: the order of lists
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX session_workspace ON session (workspace, touched);

-- The documents that were dropped into a session.
CREATE TABLE session_document (
    session_id  TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    document_id TEXT NOT NULL,
    added_at    BIGINT NOT NULL,
    PRIMARY KEY (session_id, document_id)
);
CREATE INDEX session_document_document ON session_document (document_id);

-- A user's message begins or goes on with a branch; the answer to it is there, empty, as soon as its run is.
CREATE TABLE message (
    id           TEXT PRIMARY KEY,
    session_id   TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    parent_id    TEXT NOT NULL DEFAULT '',
    role         TEXT NOT NULL, -- user, assistant, system
    author       TEXT NOT NULL DEFAULT '', -- of a user's message
    content      TEXT NOT NULL,
    content_key  TEXT NOT NULL, -- in lower case, to search in
    run_id       TEXT NOT NULL DEFAULT '', -- of an assistant's message: the run that writes it
    draft_id     TEXT NOT NULL DEFAULT '',
    document_ids TEXT NOT NULL DEFAULT '[]',
    citations    TEXT NOT NULL DEFAULT '[]',
    actions      TEXT NOT NULL DEFAULT '[]',
    usage        TEXT NOT NULL DEFAULT '',
    error_code   TEXT NOT NULL DEFAULT '',
    error        TEXT NOT NULL DEFAULT '',
    rating       BIGINT NOT NULL DEFAULT -1, -- feedback: 0, 1; -1 for none
    comment      TEXT NOT NULL DEFAULT '',
    rated_at     BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL,
    edited_at    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX message_session ON message (session_id, id);
CREATE INDEX message_run ON message (run_id) WHERE run_id <> '';
CREATE INDEX message_rated ON message (id) WHERE rating >= 0;

-- Which messages quote a document, so that a deletion finds them.
CREATE TABLE message_document (
    document_id TEXT NOT NULL,
    message_id  TEXT NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    PRIMARY KEY (document_id, message_id)
);
CREATE INDEX message_document_message ON message_document (message_id);

-- What is shown with a session or with one of its messages.
CREATE TABLE message_element (
    id          TEXT PRIMARY KEY,
    session_id  TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    message_id  TEXT NOT NULL DEFAULT '',
    type        TEXT NOT NULL, -- text, image, pdf, audio, file, table, tasks
    name        TEXT NOT NULL DEFAULT '',
    display     TEXT NOT NULL, -- inline, side
    document_id TEXT NOT NULL DEFAULT '',
    page        BIGINT NOT NULL DEFAULT 0,
    data        TEXT NOT NULL DEFAULT '',
    created_at  BIGINT NOT NULL
);
CREATE INDEX message_element_session ON message_element (session_id, id);
CREATE INDEX message_element_message ON message_element (message_id, id) WHERE message_id <> '';
CREATE INDEX message_element_document ON message_element (document_id) WHERE document_id <> '';

-- The events of a session that no run has written. Their numbers and those of run_event.session_seq are one sequence.
CREATE TABLE session_event (
    session_id TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    seq        BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    type       TEXT NOT NULL,
    message_id TEXT NOT NULL DEFAULT '', -- whose text it tells
    data       TEXT NOT NULL,
    PRIMARY KEY (session_id, seq)
);
CREATE INDEX session_event_message ON session_event (message_id) WHERE message_id <> '';

CREATE INDEX run_session ON run (session_id, id) WHERE session_id <> '';
CREATE INDEX draft_session ON draft (session_id, id) WHERE session_id <> '';

-- +goose Down
DROP INDEX draft_session;
DROP INDEX run_session;
DROP INDEX run_session;
DROP TABLE session_event;
DROP TABLE message_element;
DROP TABLE message_document;
DROP TABLE message;
DROP TABLE session_document;
DROP TABLE session;
