"""The view drawn by hand: a page that this program serves to the browser on the same machine."""
