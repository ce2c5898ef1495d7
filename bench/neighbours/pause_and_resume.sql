-- until there is a table that says that it is enough
SET ROLE bench_many;
DO $$ BEGIN
  WHILE to_regclass('enough') IS NULL LOOP
    PERFORM jobq.pause('many_1');
    COMMIT;
    PERFORM jobq.resume('many_1');
    COMMIT;
  END LOOP;
END $$;
RESET ROLE;
DROP TABLE enough;
