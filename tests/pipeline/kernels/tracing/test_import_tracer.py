"""The modules that a notebook's code looks for in vain."""

from pipeline.kernels.tracing.import_tracer import ImportTracer
from pipeline.staleness.access_kinds import missing_modules_path


def test_what_the_kernel_itself_did_not_find_is_no_dependency_of_the_notebook(tmp_path):
    tracer = ImportTracer()
    tracer.find_spec("completion_of_the_kernel")
    tracer.note_kernel_modules()
    tracer.find_spec("storemagic")  # IPython does, with the user's extensions
    tracer.find_spec("an_optional_package")
    log = tmp_path / "step.trace"
    tracer.write_names(log)
    assert missing_modules_path(log).read_text(encoding="utf-8") == "an_optional_package\n"
