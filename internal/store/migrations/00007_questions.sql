-- Runs that wait for people, and what a post is called where it is listed.

-- +goose Up
ALTER TABLE run ADD COLUMN question TEXT NOT NULL DEFAULT ''; -- of a waiting run, as JSON
ALTER TABLE run ADD COLUMN question_until BIGINT NOT NULL DEFAULT 0; -- after which no answer is waited for; 0: for ever
CREATE INDEX run_expiring ON run (question_until) WHERE status = 'waiting' AND question_until > 0;
ALTER TABLE draft ADD COLUMN summary TEXT NOT NULL DEFAULT '';
ALTER TABLE draft ADD COLUMN slug TEXT NOT NULL DEFAULT '';
ALTER TABLE workspace ADD COLUMN style_guide TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE workspace DROP COLUMN style_guide;
ALTER TABLE draft DROP COLUMN slug;
ALTER TABLE draft DROP COLUMN summary;
DROP INDEX run_expiring;
ALTER TABLE run DROP COLUMN question_until;
ALTER TABLE run DROP COLUMN question;
