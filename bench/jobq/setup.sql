-- :options are what the queue is created with, as named arguments
SELECT jobq.create_queue('q', :options);
