"""Read the data of an interactive figure, as its script does."""

import json
import re
import zlib
from base64 import b64decode


def read_payload(html):
    """Decompress the data that the script is called with, as the script does itself."""
    script = html[html.rindex("<script>") : html.rindex("</script>")]
    payload = re.search(r'\}\)\("([^"]*)", "figure-\w+"\);', script)[1]
    return json.loads(zlib.decompress(b64decode(payload)))
