CREATE TABLE account (
    id text NOT NULL,
    email text NOT NULL,
    full_name text DEFAULT ''::text NOT NULL,
    role text NOT NULL,
    workspace text NOT NULL,
    password_hash text NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT account_email_key UNIQUE (email),
    CONSTRAINT account_pkey PRIMARY KEY (id),
    CONSTRAINT account_workspace_fkey FOREIGN KEY (workspace) REFERENCES workspace(id)
);

CREATE TABLE api_key (
    id text NOT NULL,
    account_id text NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL,
    hash text NOT NULL,
    scope text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint DEFAULT 0 NOT NULL,
    used_at bigint DEFAULT 0 NOT NULL,
    uses bigint DEFAULT 0 NOT NULL,
    CONSTRAINT api_key_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id) ON DELETE CASCADE,
    CONSTRAINT api_key_hash_key UNIQUE (hash),
    CONSTRAINT api_key_pkey PRIMARY KEY (id)
);
CREATE INDEX api_key_account ON api_key USING btree (account_id);

CREATE TABLE citation (
    id text NOT NULL,
    version_id text NOT NULL,
    ord bigint NOT NULL,
    start bigint NOT NULL,
    "end" bigint NOT NULL,
    claim text NOT NULL,
    verdict text NOT NULL,
    spans text NOT NULL,
    orphan bigint DEFAULT 0 NOT NULL,
    CONSTRAINT citation_pkey PRIMARY KEY (id),
    CONSTRAINT citation_version_id_fkey FOREIGN KEY (version_id) REFERENCES draft_version(id) ON DELETE CASCADE,
    CONSTRAINT citation_version_id_ord_key UNIQUE (version_id, ord)
);

CREATE TABLE citation_document (
    document_id text NOT NULL,
    citation_id text NOT NULL,
    generation bigint DEFAULT 0 NOT NULL,
    CONSTRAINT citation_document_citation_id_fkey FOREIGN KEY (citation_id) REFERENCES citation(id) ON DELETE CASCADE,
    CONSTRAINT citation_document_pkey PRIMARY KEY (document_id, citation_id)
);
CREATE INDEX citation_document_citation ON citation_document USING btree (citation_id);

CREATE TABLE document (
    id text NOT NULL,
    workspace text NOT NULL,
    filename text NOT NULL,
    file_type text NOT NULL,
    size bigint NOT NULL,
    sha256 text NOT NULL,
    forced bigint DEFAULT 0 NOT NULL,
    blob text NOT NULL,
    title text DEFAULT ''::text NOT NULL,
    title_set bigint DEFAULT 0 NOT NULL,
    name_key text DEFAULT ''::text NOT NULL,
    status text NOT NULL,
    stage text NOT NULL,
    generation bigint DEFAULT 0 NOT NULL,
    text_generation bigint DEFAULT 0 NOT NULL,
    passage_generation bigint DEFAULT 0 NOT NULL,
    work_generation bigint DEFAULT 1 NOT NULL,
    work_text_generation bigint DEFAULT 1 NOT NULL,
    work_passage_generation bigint DEFAULT 1 NOT NULL,
    work_text_length bigint DEFAULT 0 NOT NULL,
    work_page_count bigint DEFAULT 0 NOT NULL,
    work_passages bigint DEFAULT 0 NOT NULL,
    work_language text DEFAULT ''::text NOT NULL,
    progress_done bigint DEFAULT 0 NOT NULL,
    progress_of bigint DEFAULT 0 NOT NULL,
    text_length bigint DEFAULT 0 NOT NULL,
    page_count bigint DEFAULT 0 NOT NULL,
    passage_count bigint DEFAULT 0 NOT NULL,
    language text DEFAULT ''::text NOT NULL,
    error_code text DEFAULT ''::text NOT NULL,
    error text DEFAULT ''::text NOT NULL,
    tags text DEFAULT '[]'::text NOT NULL,
    run_id text DEFAULT ''::text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    origin text DEFAULT 'upload'::text NOT NULL,
    source_url text DEFAULT ''::text NOT NULL,
    fetched_at bigint DEFAULT 0 NOT NULL,
    author text DEFAULT ''::text NOT NULL,
    published_at bigint DEFAULT 0 NOT NULL,
    found_by text DEFAULT ''::text NOT NULL,
    CONSTRAINT document_pkey PRIMARY KEY (id),
    CONSTRAINT document_workspace_fkey FOREIGN KEY (workspace) REFERENCES workspace(id)
);
CREATE INDEX document_blob ON document USING btree (blob);
CREATE UNIQUE INDEX document_content ON document USING btree (workspace, sha256) WHERE (forced = 0);
CREATE INDEX document_found ON document USING btree (found_by, source_url) WHERE (found_by <> ''::text);
CREATE INDEX document_origin ON document USING btree (workspace, origin, id) WHERE (origin <> 'upload'::text);
CREATE INDEX document_sha256 ON document USING btree (workspace, sha256);
CREATE INDEX document_workspace ON document USING btree (workspace, id);

CREATE TABLE document_slice (
    document_id text NOT NULL,
    generation bigint NOT NULL,
    kind text NOT NULL,
    ord bigint NOT NULL,
    start bigint NOT NULL,
    data bytea NOT NULL,
    CONSTRAINT document_slice_pkey PRIMARY KEY (document_id, generation, kind, ord)
);

CREATE TABLE document_space (
    document_id text NOT NULL,
    space text NOT NULL,
    generation bigint NOT NULL,
    CONSTRAINT document_space_pkey PRIMARY KEY (document_id, space)
);
CREATE INDEX document_space_space ON document_space USING btree (space, document_id);

CREATE TABLE draft (
    id text NOT NULL,
    workspace text NOT NULL,
    session_id text DEFAULT ''::text NOT NULL,
    title text DEFAULT ''::text NOT NULL,
    title_key text DEFAULT ''::text NOT NULL,
    status text NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    document_ids text DEFAULT '[]'::text NOT NULL,
    categories text DEFAULT '[]'::text NOT NULL,
    tags text DEFAULT '[]'::text NOT NULL,
    run_id text DEFAULT ''::text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    summary text DEFAULT ''::text NOT NULL,
    slug text DEFAULT ''::text NOT NULL,
    undo_head bigint DEFAULT 0 NOT NULL,
    redo text DEFAULT '[]'::text NOT NULL,
    CONSTRAINT draft_pkey PRIMARY KEY (id),
    CONSTRAINT draft_workspace_fkey FOREIGN KEY (workspace) REFERENCES workspace(id)
);
CREATE INDEX draft_session ON draft USING btree (session_id, id) WHERE (session_id <> ''::text);
CREATE INDEX draft_workspace ON draft USING btree (workspace, id);

CREATE TABLE draft_version (
    id text NOT NULL,
    draft_id text NOT NULL,
    number bigint NOT NULL,
    parents text DEFAULT '[]'::text NOT NULL,
    author text DEFAULT ''::text NOT NULL,
    cause text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    message text DEFAULT ''::text NOT NULL,
    title text NOT NULL,
    content text NOT NULL,
    words bigint NOT NULL,
    run_id text DEFAULT ''::text NOT NULL,
    created_at bigint NOT NULL,
    follows bigint DEFAULT 0 NOT NULL,
    CONSTRAINT draft_version_draft_id_fkey FOREIGN KEY (draft_id) REFERENCES draft(id) ON DELETE CASCADE,
    CONSTRAINT draft_version_draft_id_number_key UNIQUE (draft_id, number),
    CONSTRAINT draft_version_pkey PRIMARY KEY (id)
);

CREATE TABLE engine_document (
    engine text NOT NULL,
    name text NOT NULL,
    workspace text NOT NULL,
    document_id text NOT NULL,
    generation bigint NOT NULL,
    meant bigint NOT NULL,
    passages bigint NOT NULL,
    digest bigint NOT NULL,
    refused text DEFAULT ''::text NOT NULL,
    passage_ids text DEFAULT ''::text NOT NULL,
    CONSTRAINT engine_document_pkey PRIMARY KEY (engine, name, document_id)
);
CREATE INDEX engine_document_workspace ON engine_document USING btree (engine, name, workspace, document_id);

CREATE TABLE engine_generation (
    engine text NOT NULL,
    name text NOT NULL,
    space text NOT NULL,
    dims bigint NOT NULL,
    serving bigint NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT engine_generation_pkey PRIMARY KEY (engine, name)
);

CREATE TABLE idempotency (
    workspace text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    resource_id text NOT NULL,
    run_id text DEFAULT ''::text NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT idempotency_pkey PRIMARY KEY (workspace, key)
);
CREATE INDEX idempotency_created ON idempotency USING btree (created_at);

CREATE TABLE installation (
    one bigint NOT NULL,
    id text NOT NULL,
    CONSTRAINT installation_pkey PRIMARY KEY (one)
);

CREATE TABLE judgement (
    id text NOT NULL,
    workspace text NOT NULL,
    answer text NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT judgement_pkey PRIMARY KEY (id)
);

CREATE TABLE judgement_document (
    document_id text NOT NULL,
    judgement_id text NOT NULL,
    CONSTRAINT judgement_document_judgement_id_fkey FOREIGN KEY (judgement_id) REFERENCES judgement(id) ON DELETE CASCADE,
    CONSTRAINT judgement_document_pkey PRIMARY KEY (document_id, judgement_id)
);
CREATE INDEX judgement_document_judgement ON judgement_document USING btree (judgement_id);

CREATE TABLE message (
    id text NOT NULL,
    session_id text NOT NULL,
    parent_id text DEFAULT ''::text NOT NULL,
    role text NOT NULL,
    author text DEFAULT ''::text NOT NULL,
    content text NOT NULL,
    content_key text NOT NULL,
    run_id text DEFAULT ''::text NOT NULL,
    draft_id text DEFAULT ''::text NOT NULL,
    document_ids text DEFAULT '[]'::text NOT NULL,
    citations text DEFAULT '[]'::text NOT NULL,
    actions text DEFAULT '[]'::text NOT NULL,
    usage text DEFAULT ''::text NOT NULL,
    error_code text DEFAULT ''::text NOT NULL,
    error text DEFAULT ''::text NOT NULL,
    rating bigint DEFAULT '-1'::integer NOT NULL,
    comment text DEFAULT ''::text NOT NULL,
    rated_at bigint DEFAULT 0 NOT NULL,
    created_at bigint NOT NULL,
    edited_at bigint DEFAULT 0 NOT NULL,
    CONSTRAINT message_pkey PRIMARY KEY (id),
    CONSTRAINT message_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
);
CREATE INDEX message_rated ON message USING btree (id) WHERE (rating >= 0);
CREATE INDEX message_run ON message USING btree (run_id) WHERE (run_id <> ''::text);
CREATE INDEX message_session ON message USING btree (session_id, id);

CREATE TABLE message_document (
    document_id text NOT NULL,
    message_id text NOT NULL,
    CONSTRAINT message_document_message_id_fkey FOREIGN KEY (message_id) REFERENCES message(id) ON DELETE CASCADE,
    CONSTRAINT message_document_pkey PRIMARY KEY (document_id, message_id)
);
CREATE INDEX message_document_message ON message_document USING btree (message_id);

CREATE TABLE message_element (
    id text NOT NULL,
    session_id text NOT NULL,
    message_id text DEFAULT ''::text NOT NULL,
    type text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    display text NOT NULL,
    document_id text DEFAULT ''::text NOT NULL,
    page bigint DEFAULT 0 NOT NULL,
    data text DEFAULT ''::text NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT message_element_pkey PRIMARY KEY (id),
    CONSTRAINT message_element_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
);
CREATE INDEX message_element_document ON message_element USING btree (document_id) WHERE (document_id <> ''::text);
CREATE INDEX message_element_message ON message_element USING btree (message_id, id) WHERE (message_id <> ''::text);
CREATE INDEX message_element_session ON message_element USING btree (session_id, id);

CREATE TABLE model_usage (
    id text NOT NULL,
    workspace text NOT NULL,
    run_id text NOT NULL,
    user_id text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    purpose text NOT NULL,
    input bigint NOT NULL,
    cached bigint NOT NULL,
    output bigint NOT NULL,
    cost double precision,
    estimated bigint NOT NULL,
    month bigint NOT NULL,
    at bigint NOT NULL,
    CONSTRAINT model_usage_pkey PRIMARY KEY (id)
);
CREATE INDEX model_usage_at ON model_usage USING btree (at);
CREATE INDEX model_usage_run ON model_usage USING btree (run_id);
CREATE INDEX model_usage_user ON model_usage USING btree (user_id, at);
CREATE INDEX model_usage_workspace ON model_usage USING btree (workspace, at);

CREATE TABLE page (
    document_id text NOT NULL,
    generation bigint NOT NULL,
    number bigint NOT NULL,
    start bigint NOT NULL,
    "end" bigint NOT NULL,
    width double precision NOT NULL,
    height double precision NOT NULL,
    words bytea NOT NULL,
    problem text DEFAULT ''::text NOT NULL,
    CONSTRAINT page_pkey PRIMARY KEY (document_id, generation, number)
);

CREATE TABLE passage (
    id text NOT NULL,
    workspace text NOT NULL,
    document_id text NOT NULL,
    generation bigint NOT NULL,
    ord bigint NOT NULL,
    content text NOT NULL,
    start bigint NOT NULL,
    "end" bigint NOT NULL,
    page_from bigint DEFAULT 0 NOT NULL,
    page_to bigint DEFAULT 0 NOT NULL,
    heading_path text DEFAULT '[]'::text NOT NULL,
    hash text NOT NULL,
    language text DEFAULT ''::text NOT NULL,
    CONSTRAINT passage_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX passage_document ON passage USING btree (document_id, generation, ord);

CREATE TABLE proposal (
    id text NOT NULL,
    draft_id text NOT NULL,
    run_id text DEFAULT ''::text NOT NULL,
    base_version bigint NOT NULL,
    author text DEFAULT ''::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    title text DEFAULT ''::text NOT NULL,
    hunks text NOT NULL,
    status text NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT proposal_draft_id_fkey FOREIGN KEY (draft_id) REFERENCES draft(id) ON DELETE CASCADE,
    CONSTRAINT proposal_pkey PRIMARY KEY (id)
);
CREATE INDEX proposal_draft ON proposal USING btree (draft_id, id);

CREATE TABLE refresh_token (
    hash text NOT NULL,
    family text NOT NULL,
    account_id text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint DEFAULT 0 NOT NULL,
    next text DEFAULT ''::text NOT NULL,
    revoked bigint DEFAULT 0 NOT NULL,
    CONSTRAINT refresh_token_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id) ON DELETE CASCADE,
    CONSTRAINT refresh_token_pkey PRIMARY KEY (hash)
);
CREATE INDEX refresh_token_expires ON refresh_token USING btree (expires_at);
CREATE INDEX refresh_token_family ON refresh_token USING btree (family);
CREATE INDEX refresh_token_revoked ON refresh_token USING btree (family) WHERE (revoked = 1);

CREATE TABLE run (
    id text NOT NULL,
    workspace text NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    subject text NOT NULL,
    subject_id text NOT NULL,
    session_id text DEFAULT ''::text NOT NULL,
    input text DEFAULT '{}'::text NOT NULL,
    last_seq bigint DEFAULT 0 NOT NULL,
    fence bigint DEFAULT 0 NOT NULL,
    lease_owner text DEFAULT ''::text NOT NULL,
    lease_until bigint DEFAULT 0 NOT NULL,
    attempt bigint DEFAULT 0 NOT NULL,
    failures bigint DEFAULT 0 NOT NULL,
    error_code text DEFAULT ''::text NOT NULL,
    error text DEFAULT ''::text NOT NULL,
    not_before bigint DEFAULT 0 NOT NULL,
    compacted bigint DEFAULT 0 NOT NULL,
    created_at bigint NOT NULL,
    ended_at bigint DEFAULT 0 NOT NULL,
    question text DEFAULT ''::text NOT NULL,
    question_until bigint DEFAULT 0 NOT NULL,
    CONSTRAINT run_pkey PRIMARY KEY (id)
);
CREATE INDEX run_due ON run USING btree (kind, not_before, id) WHERE (status = 'queued'::text);
CREATE INDEX run_expiring ON run USING btree (question_until) WHERE ((status = 'waiting'::text) AND (question_until > 0));
CREATE INDEX run_leased ON run USING btree (lease_until) WHERE (status = 'running'::text);
CREATE INDEX run_session ON run USING btree (session_id, id) WHERE (session_id <> ''::text);
CREATE INDEX run_subject ON run USING btree (subject_id, id);
CREATE INDEX run_sync ON run USING btree (workspace, subject_id, ended_at) WHERE (kind = 'sync'::text);
CREATE INDEX run_uncompacted ON run USING btree (ended_at) WHERE ((compacted = 0) AND (ended_at > 0));
CREATE INDEX run_workspace ON run USING btree (workspace, id);

CREATE TABLE run_event (
    run_id text NOT NULL,
    seq bigint NOT NULL,
    session_id text DEFAULT ''::text NOT NULL,
    session_seq bigint DEFAULT 0 NOT NULL,
    at bigint NOT NULL,
    type text NOT NULL,
    data text NOT NULL,
    CONSTRAINT run_event_pkey PRIMARY KEY (run_id, seq),
    CONSTRAINT run_event_run_id_fkey FOREIGN KEY (run_id) REFERENCES run(id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX run_event_session ON run_event USING btree (session_id, session_seq) WHERE (session_seq > 0);

CREATE TABLE run_intake (
    id integer NOT NULL,
    data text NOT NULL,
    CONSTRAINT run_intake_pkey PRIMARY KEY (id)
);

CREATE TABLE run_step (
    run_id text NOT NULL,
    key text NOT NULL,
    done bigint NOT NULL,
    result text DEFAULT ''::text NOT NULL,
    attempt bigint NOT NULL,
    at bigint NOT NULL,
    CONSTRAINT run_step_pkey PRIMARY KEY (run_id, key),
    CONSTRAINT run_step_run_id_fkey FOREIGN KEY (run_id) REFERENCES run(id) ON DELETE CASCADE
);

CREATE TABLE segment (
    id text NOT NULL,
    workspace text NOT NULL,
    live bigint NOT NULL,
    run_id text DEFAULT ''::text NOT NULL,
    bytes bigint DEFAULT 0 NOT NULL,
    passages bigint DEFAULT 0 NOT NULL,
    tokens bigint DEFAULT 0 NOT NULL,
    created_at bigint NOT NULL,
    space text DEFAULT ''::text NOT NULL,
    known double precision DEFAULT 0 NOT NULL,
    CONSTRAINT segment_pkey PRIMARY KEY (id)
);
CREATE INDEX segment_hidden ON segment USING btree (run_id, id) WHERE (live <> 1);
CREATE INDEX segment_workspace ON segment USING btree (workspace, live, space, id);

CREATE TABLE segment_document (
    segment_id text NOT NULL,
    document_id text NOT NULL,
    dead bigint DEFAULT 0 NOT NULL,
    CONSTRAINT segment_document_pkey PRIMARY KEY (segment_id, document_id)
);
CREATE INDEX segment_document_dead ON segment_document USING btree (dead, segment_id, document_id);
CREATE INDEX segment_document_document ON segment_document USING btree (document_id);

CREATE TABLE segment_slice (
    segment_id text NOT NULL,
    ord bigint NOT NULL,
    data bytea NOT NULL,
    CONSTRAINT segment_slice_pkey PRIMARY KEY (segment_id, ord)
);

CREATE TABLE session (
    id text NOT NULL,
    workspace text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    name_key text DEFAULT ''::text NOT NULL,
    llm_provider text DEFAULT ''::text NOT NULL,
    llm_model text DEFAULT ''::text NOT NULL,
    profile text DEFAULT ''::text NOT NULL,
    tags text DEFAULT '[]'::text NOT NULL,
    settings text DEFAULT '{}'::text NOT NULL,
    state text DEFAULT '{}'::text NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    last_seq bigint DEFAULT 0 NOT NULL,
    touched text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT session_pkey PRIMARY KEY (id),
    CONSTRAINT session_workspace_fkey FOREIGN KEY (workspace) REFERENCES workspace(id)
);
CREATE UNIQUE INDEX session_workspace ON session USING btree (workspace, touched);

CREATE TABLE session_document (
    session_id text NOT NULL,
    document_id text NOT NULL,
    added_at bigint NOT NULL,
    CONSTRAINT session_document_pkey PRIMARY KEY (session_id, document_id),
    CONSTRAINT session_document_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
);
CREATE INDEX session_document_document ON session_document USING btree (document_id);

CREATE TABLE session_event (
    session_id text NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    type text NOT NULL,
    message_id text DEFAULT ''::text NOT NULL,
    data text NOT NULL,
    CONSTRAINT session_event_pkey PRIMARY KEY (session_id, seq),
    CONSTRAINT session_event_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
);
CREATE INDEX session_event_message ON session_event USING btree (message_id) WHERE (message_id <> ''::text);

CREATE TABLE space (
    id text NOT NULL,
    state text NOT NULL,
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    CONSTRAINT space_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX space_serving ON space USING btree (state) WHERE (state = 'serving'::text);

CREATE TABLE stream_ticket (
    hash text NOT NULL,
    path text NOT NULL,
    account_id text NOT NULL,
    login text NOT NULL,
    until bigint NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT stream_ticket_pkey PRIMARY KEY (hash)
);
CREATE INDEX stream_ticket_expires ON stream_ticket USING btree (expires_at);

CREATE TABLE trash (
    id text NOT NULL,
    workspace text NOT NULL,
    kind text NOT NULL,
    ref text NOT NULL,
    generation bigint DEFAULT 0 NOT NULL,
    blob text DEFAULT ''::text NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT trash_pkey PRIMARY KEY (id)
);

CREATE TABLE vector (
    passage_id text NOT NULL,
    space text NOT NULL,
    document_id text NOT NULL,
    generation bigint NOT NULL,
    data bytea NOT NULL,
    CONSTRAINT vector_pkey PRIMARY KEY (passage_id, space)
);
CREATE INDEX vector_document ON vector USING btree (document_id, generation);

CREATE TABLE workspace (
    id text NOT NULL,
    kind text NOT NULL,
    created_at bigint NOT NULL,
    style_guide text DEFAULT ''::text NOT NULL,
    CONSTRAINT workspace_pkey PRIMARY KEY (id)
);
