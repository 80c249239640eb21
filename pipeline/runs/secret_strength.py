"""Which secrets can be masked: neither short ones nor words that occur everywhere."""

import builtins
import keyword
import sys
from collections.abc import Iterable

from pipeline.secret_marks import MIN_SECRET_CHARS

MIN_DISTINCT_CHARS = 3
# the words of notebooks, of published results and of pages, and values that are no secret
COMMON_WORDS = frozenset(
    """
    application/javascript application/json application/pdf attachments cell_type codemirror_mode
    collapsed display_data display_name duration editable end_time evalue exception execute_result
    execution_count file_extension hidden image/gif image/jpeg image/png image/svg+xml
    injected-parameters input_path ipykernel ipython ipython3 jupyter kernelspec language
    language_info markdown metadata mimetype nbconvert_exporter nbformat nbformat_minor notebook
    orig_nbformat output_path output_type outputs papermill parameters pygments_lexer python python3
    raises-exception remove-cell scrolled skip-execution slideshow source start_time status stderr
    stdout stream summary text/html text/latex text/markdown text/plain traceback version widgets
    application/vnd.jupyter.widget-state+json application/vnd.jupyter.widget-view+json
    cancelled completed failed pending running skipped stopped
    before better facts headline higher input_files output_files
    border button center content dataframe figure height script
    0.0.0.0 127.0.0.1 admin default development disabled enabled example localhost passwd password
    postgres postgresql private production public staging undefined unknown username
    """.split()  # noqa: SIM905 - a list would have a line for each word
)


def describe_weakness(value: str, reserved_names: Iterable[str] = ()) -> str:
    """Return why a value cannot be masked, as the end of a sentence; empty if it can.

    reserved_names: of what stands in records and reports in any case, such as steps. The sentence
    does not contain the value.
    """
    text = value.strip()
    if len(text) < MIN_SECRET_CHARS:
        return f"has fewer than {MIN_SECRET_CHARS} characters"
    if len(set(text)) < MIN_DISTINCT_CHARS:
        return "repeats one or two characters"
    word = text.casefold()
    python_words = {*keyword.kwlist, *dir(builtins), *sys.stdlib_module_names}
    if word in COMMON_WORDS or text in python_words or word in python_words:
        return "is a common word, which notebooks and reports contain anyway"
    if text in set(reserved_names):
        return "is the name of a step, a parameter or a variable, which reports show"
    return ""
