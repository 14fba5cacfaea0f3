"""Objects as files in a folder: `<key>`, and beside it `.<name>.<upload id>.part` while it is being written."""

from storage.objects_folder.store import FolderStore

__all__ = ["FolderStore"]
