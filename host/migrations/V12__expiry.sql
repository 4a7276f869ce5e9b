-- What has expired is looked for again and again, beside what never does.
CREATE INDEX context_expiry ON context (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX flags_expiry ON flags (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX verdict_cache_expiry ON verdict_cache (expires_at);
