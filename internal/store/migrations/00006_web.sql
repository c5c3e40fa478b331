-- Pages of the web as documents: where they were fetched from, and when.

-- +goose Up
ALTER TABLE document ADD COLUMN origin TEXT NOT NULL DEFAULT 'upload'; -- upload, url, web
ALTER TABLE document ADD COLUMN source_url TEXT NOT NULL DEFAULT '';
ALTER TABLE document ADD COLUMN fetched_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE document ADD COLUMN author TEXT NOT NULL DEFAULT '';       -- as the document says
ALTER TABLE document ADD COLUMN published_at BIGINT NOT NULL DEFAULT 0; -- likewise
ALTER TABLE document ADD COLUMN found_by TEXT NOT NULL DEFAULT '';     -- the run that found it
CREATE INDEX document_found ON document (found_by, source_url) WHERE found_by <> '';
CREATE INDEX document_origin ON document (workspace, origin, id) WHERE origin <> 'upload';

-- +goose Down
DROP INDEX document_origin;
DROP INDEX document_found;
ALTER TABLE document DROP COLUMN found_by;
ALTER TABLE document DROP COLUMN published_at;
ALTER TABLE document DROP COLUMN author;
ALTER TABLE document DROP COLUMN fetched_at;
ALTER TABLE document DROP COLUMN source_url;
ALTER TABLE document DROP COLUMN origin;
