#!/bin/sh
# Makes the role that owns and migrates the schema, the role that runs, and their database.
# Runs once, when the cluster is made; psql quotes the passwords.
set -eu

psql --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres <<'SQL'
\getenv owner_password MOONX_OWNER_PASSWORD
\getenv app_password MOONX_APP_PASSWORD
CREATE ROLE moonx_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE moonx_app LOGIN PASSWORD :'app_password';
CREATE DATABASE moonx OWNER moonx_owner;
\connect moonx
ALTER SCHEMA public OWNER TO moonx_owner;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO moonx_app;
SQL
