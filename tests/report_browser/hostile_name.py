from __future__ import annotations

HOSTILE = "</script><script>document.title='taken'</script>\"'\u202e&"
