-- Vectors are put in oftener than a space is dropped: an index less to write, and the sweep goes over all of them instead.

-- +goose Up
DROP INDEX vector_space;

-- +goose Down
CREATE INDEX vector_space ON vector (space);
