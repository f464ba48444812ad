"""A real RTSP server, of a picture that is always a defect: python -m tests.support.rtsp_server PORT [WIDTH HEIGHT]"""

from __future__ import annotations

import sys


def main() -> None:
    """Serve rtsp://127.0.0.1:PORT/camera until killed."""
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    port, width, height = sys.argv[1], *(sys.argv[2:4] or ("64", "64"))
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_service(port)
    server.set_address("127.0.0.1")
    factory = GstRtspServer.RTSPMediaFactory()
    # Snow: bright pixels everywhere, and no frame like the one before.
    factory.set_launch(
        f"( videotestsrc is-live=true pattern=snow ! video/x-raw,format=I420,width={width},height={height},"
        "framerate=20/1 ! jpegenc ! rtpjpegpay name=pay0 )"
    )
    factory.set_shared(True)
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
