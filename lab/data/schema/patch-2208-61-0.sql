-- Lower-case e-mail addresses in one place (function normalise_email, trigger and clean-up of emailaddress).
SET client_min_messages = ERROR;

CREATE FUNCTION normalise_email() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.email := lower(trim(NEW.email));
    RETURN NEW;
END;
$$;

CREATE TRIGGER emailaddress__normalise__t
    BEFORE INSERT OR UPDATE ON EmailAddress
    FOR EACH ROW EXECUTE FUNCTION normalise_email();

UPDATE EmailAddress SET email = email;

INSERT INTO LaunchpadDatabaseRevision VALUES (2208, 61, 0);
