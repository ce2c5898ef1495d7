-- Five fields are minutes and up, as ever; six begin with seconds.
CREATE TABLE tick (at timestamptz NOT NULL);
SELECT jobq.schedule('tick', '* * * * * *',
                     command => 'INSERT INTO tick VALUES (clock_timestamp())');
SELECT jobq.cron_describe('* * * * * *');
