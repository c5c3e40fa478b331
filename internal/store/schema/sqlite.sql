CREATE TABLE account (
    id            TEXT PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE, -- lower case, NFC
    full_name     TEXT NOT NULL DEFAULT '',
    role          TEXT NOT NULL,
    workspace     TEXT NOT NULL REFERENCES workspace (id),
    password_hash TEXT NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE api_key (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    prefix     TEXT NOT NULL,
    hash       TEXT NOT NULL UNIQUE, -- hex SHA-256
    scope      TEXT NOT NULL,        -- the widest: read, write, admin
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL DEFAULT 0, -- 0: never
    used_at    BIGINT NOT NULL DEFAULT 0,
    uses       BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX api_key_account ON api_key (account_id);

CREATE TABLE citation (
    id         TEXT PRIMARY KEY,
    version_id TEXT NOT NULL REFERENCES draft_version (id) ON DELETE CASCADE,
    ord        BIGINT NOT NULL,
    start      BIGINT NOT NULL, -- of the claim, in the version's content
    "end"      BIGINT NOT NULL,
    claim      TEXT NOT NULL,
    verdict    TEXT NOT NULL,
    spans      TEXT NOT NULL, orphan BIGINT NOT NULL DEFAULT 0,
    UNIQUE (version_id, ord)
);

CREATE TABLE citation_document (
    document_id TEXT NOT NULL,
    citation_id TEXT NOT NULL REFERENCES citation (id) ON DELETE CASCADE, generation BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (document_id, citation_id)
);

CREATE INDEX citation_document_citation ON citation_document (citation_id);

CREATE TABLE document (
    id              TEXT PRIMARY KEY,
    workspace       TEXT NOT NULL REFERENCES workspace (id),
    filename        TEXT NOT NULL,
    file_type       TEXT NOT NULL,
    size            BIGINT NOT NULL,
    sha256          TEXT NOT NULL,
    forced          BIGINT NOT NULL DEFAULT 0, -- uploaded although the workspace had these bytes
    blob            TEXT NOT NULL,
    title           TEXT NOT NULL DEFAULT '',
    title_set       BIGINT NOT NULL DEFAULT 0, -- by a person
    name_key        TEXT NOT NULL DEFAULT '',  -- file name and title in lower case, to search in
    status          TEXT NOT NULL,
    stage           TEXT NOT NULL,             -- of the generation in work
    -- What readers see. A generation that began after extraction (or chunking) has no rows of its own for what it took over:
    -- text_generation and passage_generation name the generation whose rows those are.
    generation         BIGINT NOT NULL DEFAULT 0, -- 0: nothing yet
    text_generation    BIGINT NOT NULL DEFAULT 0, -- of document_slice and page
    passage_generation BIGINT NOT NULL DEFAULT 0, -- of passage
    -- What is in work, the same way; equal to the above once it is indexed.
    work_generation         BIGINT NOT NULL DEFAULT 1,
    work_text_generation    BIGINT NOT NULL DEFAULT 1,
    work_passage_generation BIGINT NOT NULL DEFAULT 1,
    work_text_length BIGINT NOT NULL DEFAULT 0,
    work_page_count BIGINT NOT NULL DEFAULT 0,
    work_passages   BIGINT NOT NULL DEFAULT 0,
    work_language   TEXT NOT NULL DEFAULT '',
    progress_done   BIGINT NOT NULL DEFAULT 0,
    progress_of     BIGINT NOT NULL DEFAULT 0,
    text_length     BIGINT NOT NULL DEFAULT 0, -- bytes
    page_count      BIGINT NOT NULL DEFAULT 0,
    passage_count   BIGINT NOT NULL DEFAULT 0,
    language        TEXT NOT NULL DEFAULT '',
    error_code      TEXT NOT NULL DEFAULT '',
    error           TEXT NOT NULL DEFAULT '',
    tags            TEXT NOT NULL DEFAULT '[]',
    run_id          TEXT NOT NULL DEFAULT '',
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
, origin TEXT NOT NULL DEFAULT 'upload', source_url TEXT NOT NULL DEFAULT '', fetched_at BIGINT NOT NULL DEFAULT 0, author TEXT NOT NULL DEFAULT '', published_at BIGINT NOT NULL DEFAULT 0, found_by TEXT NOT NULL DEFAULT '');

CREATE INDEX document_blob ON document (blob);

CREATE UNIQUE INDEX document_content ON document (workspace, sha256) WHERE forced = 0;

CREATE INDEX document_found ON document (found_by, source_url) WHERE found_by <> '';

CREATE INDEX document_origin ON document (workspace, origin, id) WHERE origin <> 'upload';

CREATE INDEX document_sha256 ON document (workspace, sha256);

CREATE INDEX document_workspace ON document (workspace, id);

CREATE TABLE document_slice (
    document_id TEXT NOT NULL,
    generation  BIGINT NOT NULL,
    kind        TEXT NOT NULL, -- text, elements
    ord         BIGINT NOT NULL,
    start       BIGINT NOT NULL, -- of text: its byte offset
    data        BYTEA NOT NULL,
    PRIMARY KEY (document_id, generation, kind, ord)
);

CREATE TABLE document_space (
    document_id TEXT NOT NULL,
    space       TEXT NOT NULL,
    generation  BIGINT NOT NULL,
    PRIMARY KEY (document_id, space)
);

CREATE INDEX document_space_space ON document_space (space, document_id);

CREATE TABLE draft (
    id           TEXT PRIMARY KEY,
    workspace    TEXT NOT NULL REFERENCES workspace (id),
    session_id   TEXT NOT NULL DEFAULT '',
    title        TEXT NOT NULL DEFAULT '',
    title_key    TEXT NOT NULL DEFAULT '', -- in lower case, to search in
    status       TEXT NOT NULL,
    version      BIGINT NOT NULL DEFAULT 0,
    document_ids TEXT NOT NULL DEFAULT '[]',
    categories   TEXT NOT NULL DEFAULT '[]',
    tags         TEXT NOT NULL DEFAULT '[]',
    run_id       TEXT NOT NULL DEFAULT '',
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
, summary TEXT NOT NULL DEFAULT '', slug TEXT NOT NULL DEFAULT '', undo_head BIGINT NOT NULL DEFAULT 0, redo TEXT NOT NULL DEFAULT '[]');

CREATE INDEX draft_session ON draft (session_id, id) WHERE session_id <> '';

CREATE INDEX draft_workspace ON draft (workspace, id);

CREATE TABLE draft_version (
    id         TEXT PRIMARY KEY,
    draft_id   TEXT NOT NULL REFERENCES draft (id) ON DELETE CASCADE,
    number     BIGINT NOT NULL,
    parents    TEXT NOT NULL DEFAULT '[]',
    author     TEXT NOT NULL DEFAULT '',
    cause      TEXT NOT NULL,
    name       TEXT NOT NULL DEFAULT '',
    message    TEXT NOT NULL DEFAULT '',
    title      TEXT NOT NULL,
    content    TEXT NOT NULL,
    words      BIGINT NOT NULL,
    run_id     TEXT NOT NULL DEFAULT '', -- of the run that wrote it
    created_at BIGINT NOT NULL, follows BIGINT NOT NULL DEFAULT 0,
    UNIQUE (draft_id, number)
);

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

CREATE TABLE engine_generation (
    engine     TEXT NOT NULL, -- elasticsearch, chroma
    name       TEXT NOT NULL,
    space      TEXT NOT NULL, -- of its vectors; '' has none
    dims       BIGINT NOT NULL,
    serving    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (engine, name)
);

CREATE TABLE idempotency (
    workspace   TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    run_id      TEXT NOT NULL DEFAULT '',
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (workspace, key)
);

CREATE INDEX idempotency_created ON idempotency (created_at);

CREATE TABLE installation (
    one BIGINT PRIMARY KEY, -- 1
    id  TEXT NOT NULL
);

CREATE TABLE judgement (
    id         TEXT PRIMARY KEY, -- a hash of workspace, claim, spans and model
    workspace  TEXT NOT NULL,
    answer     TEXT NOT NULL,    -- JSON
    created_at BIGINT NOT NULL
);

CREATE TABLE judgement_document (
    document_id  TEXT NOT NULL,
    judgement_id TEXT NOT NULL REFERENCES judgement (id) ON DELETE CASCADE,
    PRIMARY KEY (document_id, judgement_id)
);

CREATE INDEX judgement_document_judgement ON judgement_document (judgement_id);

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

CREATE INDEX message_rated ON message (id) WHERE rating >= 0;

CREATE INDEX message_run ON message (run_id) WHERE run_id <> '';

CREATE INDEX message_session ON message (session_id, id);

CREATE TABLE message_document (
    document_id TEXT NOT NULL,
    message_id  TEXT NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    PRIMARY KEY (document_id, message_id)
);

CREATE INDEX message_document_message ON message_document (message_id);

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

CREATE INDEX message_element_document ON message_element (document_id) WHERE document_id <> '';

CREATE INDEX message_element_message ON message_element (message_id, id) WHERE message_id <> '';

CREATE INDEX message_element_session ON message_element (session_id, id);

CREATE TABLE model_usage (
    id        TEXT PRIMARY KEY,
    workspace TEXT NOT NULL, -- '' nobody's
    run_id    TEXT NOT NULL, -- '' outside runs
    user_id   TEXT NOT NULL, -- '' the command line
    provider  TEXT NOT NULL, -- openai, ollama
    model     TEXT NOT NULL,
    purpose   TEXT NOT NULL, -- plan, write, judge ...
    input     BIGINT NOT NULL, -- tokens
    cached    BIGINT NOT NULL, -- of the input
    output    BIGINT NOT NULL,
    cost      DOUBLE PRECISION, -- NULL: the price was not known
    estimated BIGINT NOT NULL, -- 1: the provider told nothing, so the tokens were counted here
    month     BIGINT NOT NULL, -- of at, in UTC: 202501
    at        BIGINT NOT NULL
);

CREATE INDEX model_usage_at ON model_usage (at);

CREATE INDEX model_usage_run ON model_usage (run_id);

CREATE INDEX model_usage_user ON model_usage (user_id, at);

CREATE INDEX model_usage_workspace ON model_usage (workspace, at);

CREATE TABLE page (
    document_id TEXT NOT NULL,
    generation  BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    start       BIGINT NOT NULL,
    "end"       BIGINT NOT NULL,
    width       DOUBLE PRECISION NOT NULL, -- points
    height      DOUBLE PRECISION NOT NULL,
    words       BYTEA NOT NULL, -- packed, see words.go
    problem     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (document_id, generation, number)
);

CREATE TABLE passage (
    id           TEXT PRIMARY KEY,
    workspace    TEXT NOT NULL,
    document_id  TEXT NOT NULL,
    generation   BIGINT NOT NULL,
    ord          BIGINT NOT NULL,
    content      TEXT NOT NULL,
    start        BIGINT NOT NULL,
    "end"        BIGINT NOT NULL,
    page_from    BIGINT NOT NULL DEFAULT 0,
    page_to      BIGINT NOT NULL DEFAULT 0,
    heading_path TEXT NOT NULL DEFAULT '[]',
    hash         TEXT NOT NULL,
    language     TEXT NOT NULL DEFAULT ''
);

CREATE UNIQUE INDEX passage_document ON passage (document_id, generation, ord);

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

CREATE TABLE refresh_token (
    hash       TEXT PRIMARY KEY, -- hex SHA-256
    family     TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL DEFAULT 0,
    next       TEXT NOT NULL DEFAULT '',
    revoked    BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX refresh_token_expires ON refresh_token (expires_at);

CREATE INDEX refresh_token_family ON refresh_token (family);

CREATE INDEX refresh_token_revoked ON refresh_token (family) WHERE revoked = 1;

CREATE TABLE run (
    id          TEXT PRIMARY KEY,
    workspace   TEXT NOT NULL,
    kind        TEXT NOT NULL,
    status      TEXT NOT NULL,
    subject     TEXT NOT NULL, -- type of what it works on
    subject_id  TEXT NOT NULL,
    session_id  TEXT NOT NULL DEFAULT '',
    input       TEXT NOT NULL DEFAULT '{}',
    last_seq    BIGINT NOT NULL DEFAULT 0,
    fence       BIGINT NOT NULL DEFAULT 0,
    lease_owner TEXT NOT NULL DEFAULT '',
    lease_until BIGINT NOT NULL DEFAULT 0, -- by the database's clock
    attempt     BIGINT NOT NULL DEFAULT 0,
    failures    BIGINT NOT NULL DEFAULT 0,
    error_code  TEXT NOT NULL DEFAULT '',
    error       TEXT NOT NULL DEFAULT '',
    not_before  BIGINT NOT NULL DEFAULT 0,
    compacted   BIGINT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL DEFAULT 0
, question TEXT NOT NULL DEFAULT '', question_until BIGINT NOT NULL DEFAULT 0);

CREATE INDEX run_due ON run (kind, not_before, id) WHERE status = 'queued';

CREATE INDEX run_expiring ON run (question_until) WHERE status = 'waiting' AND question_until > 0;

CREATE INDEX run_leased ON run (lease_until) WHERE status = 'running';

CREATE INDEX run_session ON run (session_id, id) WHERE session_id <> '';

CREATE INDEX run_subject ON run (subject_id, id);

CREATE INDEX run_sync ON run (workspace, subject_id, ended_at) WHERE kind = 'sync';

CREATE INDEX run_uncompacted ON run (ended_at) WHERE compacted = 0 AND ended_at > 0;

CREATE INDEX run_workspace ON run (workspace, id);

CREATE TABLE run_event (
    run_id      TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    seq         BIGINT NOT NULL,
    session_id  TEXT NOT NULL DEFAULT '',
    session_seq BIGINT NOT NULL DEFAULT 0, -- dense per session
    at          BIGINT NOT NULL,
    type        TEXT NOT NULL,
    data        TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
);

CREATE UNIQUE INDEX run_event_session ON run_event (session_id, session_seq) WHERE session_seq > 0;

CREATE TABLE run_intake (
    id   INTEGER PRIMARY KEY, -- in the order of commits
    data TEXT NOT NULL        -- {"run", "seq", "at", "data"} for each event, one behind the other
);

CREATE TABLE run_step (
    run_id  TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    key     TEXT NOT NULL,
    done    BIGINT NOT NULL,
    result  TEXT NOT NULL DEFAULT '',
    attempt BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (run_id, key)
);

CREATE TABLE segment (
    id         TEXT PRIMARY KEY,
    workspace  TEXT NOT NULL,
    live       BIGINT NOT NULL, -- 0: being written, 1: seen, 2: replaced, its slices are being removed
    run_id     TEXT NOT NULL DEFAULT '', -- of the process run that writes it; empty for a merge
    bytes      BIGINT NOT NULL DEFAULT 0,
    passages   BIGINT NOT NULL DEFAULT 0,
    tokens     BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
, space TEXT NOT NULL DEFAULT '', known DOUBLE PRECISION NOT NULL DEFAULT 0);

CREATE INDEX segment_hidden ON segment (run_id, id) WHERE live <> 1;

CREATE INDEX segment_workspace ON segment (workspace, live, space, id);

CREATE TABLE segment_document (
    segment_id  TEXT NOT NULL,
    document_id TEXT NOT NULL,
    dead        BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (segment_id, document_id)
);

CREATE INDEX segment_document_dead ON segment_document (dead, segment_id, document_id);

CREATE INDEX segment_document_document ON segment_document (document_id);

CREATE TABLE segment_slice (
    segment_id TEXT NOT NULL,
    ord        BIGINT NOT NULL,
    data       BYTEA NOT NULL,
    PRIMARY KEY (segment_id, ord)
);

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

CREATE TABLE session_document (
    session_id  TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    document_id TEXT NOT NULL,
    added_at    BIGINT NOT NULL,
    PRIMARY KEY (session_id, document_id)
);

CREATE INDEX session_document_document ON session_document (document_id);

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

CREATE TABLE space (
    id         TEXT PRIMARY KEY, -- embedder/version/dimensions
    state      TEXT NOT NULL,    -- building, serving, previous, rejected, dropped
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX space_serving ON space (state) WHERE state = 'serving';

CREATE TABLE stream_ticket (
    hash       TEXT PRIMARY KEY, -- hex SHA-256
    path       TEXT NOT NULL,
    account_id TEXT NOT NULL,    -- empty for the local token
    login      TEXT NOT NULL,    -- the family of refresh tokens
    until      BIGINT NOT NULL,  -- when the access token that it came from runs out; 0: never
    expires_at BIGINT NOT NULL   -- by the database's clock
);

CREATE INDEX stream_ticket_expires ON stream_ticket (expires_at);

CREATE TABLE trash (
    id         TEXT PRIMARY KEY,
    workspace  TEXT NOT NULL,
    kind       TEXT NOT NULL, -- document, generation, draft
    ref        TEXT NOT NULL, -- its id
    generation BIGINT NOT NULL DEFAULT 0,
    blob       TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL
);

CREATE TABLE vector (
    passage_id  TEXT NOT NULL,
    space       TEXT NOT NULL,
    document_id TEXT NOT NULL,
    generation  BIGINT NOT NULL, -- of the passage
    data        BYTEA NOT NULL,
    PRIMARY KEY (passage_id, space)
);

CREATE INDEX vector_document ON vector (document_id, generation);

CREATE TABLE workspace (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL, -- local, personal
    created_at BIGINT NOT NULL
, style_guide TEXT NOT NULL DEFAULT '');
