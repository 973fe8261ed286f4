"""From annotated sections to a model folder: split by animal, fitting that resumes, an honest card."""
