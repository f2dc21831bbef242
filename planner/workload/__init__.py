"""What will be sent: from a file of rows to a token profile of the whole job."""
