"""What every process is written against: the Server (gen_server) and its World."""
