"""The page of events and campaigns: did they bring people who stayed? A section a file, its template beside it."""
