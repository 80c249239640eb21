"""Pages in Chromium: open them, and judge how accessible they are."""

from axe_playwright_python.sync_playwright import Axe


def open_page(browser, address, width=1200, scheme="light"):
    """Return an open page, the URLs it requests, and the messages of its console.

    The two lists grow while the page is open.
    """
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    requested_urls, console_messages = [], []
    page.on("request", lambda request: requested_urls.append(request.url))
    page.on("console", lambda message: console_messages.append(message.text))
    page.goto(address)
    return page, requested_urls, console_messages


def serious_violations(page):
    """Return the ids of axe's rules that the page breaks seriously or critically."""
    violations = Axe().run(page).response["violations"]
    return [
        violation["id"]
        for violation in violations
        if violation["impact"] in ("serious", "critical")
    ]
