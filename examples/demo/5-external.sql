-- A queue without a handler is for programs outside the server.
SELECT jobq.create_queue('words', max_attempts => 1);
