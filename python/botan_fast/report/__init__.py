"""Runs become one page of HTML, which needs nothing else: `botan-fast report RUN... -o report.html`.

write      write_report: from run folders to the page
options    the options of the command
runs       what a run folder tells: options, history, model, test data
results    scores and predictions of a run on its test data
scores     scores as rows of tables, with their intervals
particles  a configuration packed for the view that turns
drawings   which figures there are, with what each shows in words
pictures   figures as pictures of the page, for light and dark
sections   the parts of a run in words: what was trained on what
page       the page, from the template

templates/ has the page in Jinja2, its style, and the script of the view. Whatever comes from files or their names
passes through Jinja2's escaping; the page's own policy lets no other script run and nothing be loaded.
"""
