"""Many sections: workers, resume, failures, and the folder that a run leaves."""
