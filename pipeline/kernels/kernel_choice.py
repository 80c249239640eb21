"""Which kernel runs a step: the one that its notebook names, or that --kernel puts in its place."""

from collections.abc import Iterable

from pipeline.definition import notebook_file
from pipeline.definition.steps import Step, require_step

# ipykernel here, which the runner itself needs; Jupyter takes the second name for the first
NATIVE_KERNELS = ("python3", "python")


def apply(steps: list[Step], choices: Iterable[str]) -> list[Step]:
    """Return the steps with the chosen kernels; of two choices for a step the last one wins.

    choices: NAME for all steps, or STEP=NAME, which wins over NAME. Raises ValueError that names
    an unknown step, or a kernel that is not installed.
    """
    for choice in sorted(choices, key=lambda choice: "=" in choice):
        step_name, separator, kernel = choice.rpartition("=")
        if separator:
            require_step(step_name, [step.name for step in steps])
        if not is_installed(kernel):
            raise ValueError(f"--kernel {choice}: {_not_installed(kernel)}")
        steps = [
            step._replace(kernel=kernel) if step_name in ("", step.name) else step for step in steps
        ]
    return steps


def check_installed(steps: Iterable[Step]) -> None:
    """Raise ValueError that names each step whose kernel is not installed, and the way out."""
    problems = []
    for step in {step.name: step for step in steps}.values():
        kernel = step.kernel or notebook_file.kernel_name(step.notebook)
        if not is_installed(kernel):
            problems.append(
                f"{step.notebook.name}: {_not_installed(kernel)}; to run the step in another one: "
                f"--kernel {step.name}=NAME"
            )
    if problems:
        raise ValueError("\n".join(problems))


def is_installed(kernel: str) -> bool:
    """Return whether Jupyter knows a kernel of that name, in capital or small letters."""
    return kernel in NATIVE_KERNELS or kernel.lower() in _installed_kernels()


def _installed_kernels() -> list[str]:
    # 0.2 s to import, which a run of Python notebooks does without
    from jupyter_client.kernelspec import KernelSpecManager

    return sorted(KernelSpecManager().find_kernel_specs())


def _not_installed(kernel: str) -> str:
    installed = ", ".join(_installed_kernels())
    return f"the kernel {kernel!r} is not installed here, but {installed}"
