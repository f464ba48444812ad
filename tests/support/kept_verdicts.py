"""Verdicts in the bytes that daemons of before wrote: what spools in the field hold, which every version must read.

Each is a verdict, its JSON line, and the line as the spool of schema version 2 keeps it.
"""

from __future__ import annotations

from edge_runtime.records import Decision, ErrorCode, Flag, Outcome, Region, Timings, Verdict

OK = Verdict(
    seq=1,
    decision=Decision(
        Outcome.OK,
        score=0.3141592653589793,
        raw_score=1.5e-07,
        raw_threshold=3.2750000953674316,
        timings=Timings(1200, 800, 45000, 90),
    ),
    bundle="screw",
    bundle_version="1.2",
    unix_ms=1750000000123,
    boot_id=1,
    latency_us=47100,
    trigger_id=41,
    recipe=12,
    part_id="PART-0000007",
    source="good/007.png",
)
NOK = Verdict(
    seq=2,
    decision=Decision(
        Outcome.NOK,
        score=0.75,
        raw_score=9.825000286102295,
        raw_threshold=3.2750000953674316,
        regions=(Region(10, 20, 33, 44, 555, 0.875), Region(0, 0, 1, 1, 1, 0.5000001)),
        timings=Timings(1200, 800, 45000, 90),
    ),
    bundle="screw",
    bundle_version="1.2",
    unix_ms=1750000000623,
    boot_id=1,
    latency_us=47100,
    trigger_id=42,
    recipe=12,
    flags=Flag.LATE | Flag.UNSYNCED,
    source="bad/Prüfling 1.png",
    picture="ab" * 32,
)
ERROR = Verdict(
    seq=3,
    decision=Decision(Outcome.ERROR, ErrorCode.FRAME_MISSING, detail='no frame within 1000 ms: check "camera"'),
    bundle="screw",
    bundle_version="1.2",
    unix_ms=1750000001123,
    boot_id=1,
    latency_us=1000123,
)

LINES = {
    1: (
        b'{"version":1,"seq":1,"outcome":"OK","error":0,"error_name":"NONE","score":0.3141592653589793,"threshold"'
        b':0.5,"raw_score":1.5e-07,"raw_threshold":3.2750000953674316,"recipe":12,"trigger_id":41,"part_id":"PART-'
        b'0000007","bundle":"screw","bundle_version":"1.2","unix_ms":1750000000123,"boot_id":1,"flags":0,"latency_'
        b'us":47100,"capture_us":1200,"prepare_us":800,"infer_us":45000,"decide_us":90,"commit_us":0,"publish_us":'
        b'0,"regions":[],"source":"good/007.png","detail":"","picture":""}'
    ),
    2: (
        b'{"version":1,"seq":2,"outcome":"NOK","error":0,"error_name":"NONE","score":0.75,"threshold":0.5,"raw_sco'
        b're":9.825000286102295,"raw_threshold":3.2750000953674316,"recipe":12,"trigger_id":42,"part_id":"","bundl'
        b'e":"screw","bundle_version":"1.2","unix_ms":1750000000623,"boot_id":1,"flags":65,"latency_us":47100,"cap'
        b'ture_us":1200,"prepare_us":800,"infer_us":45000,"decide_us":90,"commit_us":0,"publish_us":0,"regions":[{'
        b'"x":10,"y":20,"width":33,"height":44,"area":555,"peak":0.875},{"x":0,"y":0,"width":1,"height":1,"area":1'
        b',"peak":0.5000001}],"source":"bad/Pr\\u00fcfling 1.png","detail":"","picture":"ababababababababababababab'
        b'ababababababababababababababababababab"}'
    ),
    3: (
        b'{"version":1,"seq":3,"outcome":"ERROR","error":101,"error_name":"FRAME_MISSING","score":0.0,"threshold":'
        b'0.5,"raw_score":0.0,"raw_threshold":0.0,"recipe":0,"trigger_id":0,"part_id":"","bundle":"screw","bundle_'
        b'version":"1.2","unix_ms":1750000001123,"boot_id":1,"flags":0,"latency_us":1000123,"capture_us":0,"prepar'
        b'e_us":0,"infer_us":0,"decide_us":0,"commit_us":0,"publish_us":0,"regions":[],"source":"","detail":"no fr'
        b'ame within 1000 ms: check \\"camera\\"","picture":""}'
    ),
}
PACKED = {
    1: bytes.fromhex(
        "78bbee050386add1cd0ac2301004e027aacdfe65bbafa30dad20542ce2ebeb82d024dad683d7b90c33df5f1d80410ca39074a6b6"
        "c722a909fa41430754f1bb4d282a13c44c0a4b2a86152bcdade6d32d3dbe836109266f6940fac58e1542cd879ee4829d078b217b"
        "47e168a186bcde8f97f33c6ebb0ed3d4b7afa53bbe4fe509904d"
    ),
    2: bytes.fromhex(
        "78bbee050386a5d34d0ac2301005e0ab886ba933934c7e6ee101dcb4d56aa188548aabde5d632d99b4a50892dd904720dfbc0507"
        "da4dac7e86b0bc2ae13347fcfe48720681c8f3cc456564c30df0ac8cd50a8d60a2d449938492388fb23d3f97852815e22fad21b5"
        "886538d5d216610a466122cd5c1844351d1e49e43c4ce9ee5dd1d48feb5c72681c0c9583d83959bad83a16bd73766cde908e618c"
        "591ca3280afbf911ece51215f9697f688f1d4055564d7dbb6c7075aff2e2bfb3ed5fdea9ca9b"
    ),
    3: bytes.fromhex(
        "78bbee0503868dd4410a80201085e1ab48eb166f946ee3aa08142a220baf5f22c48c98b49fc5c0f7f82b0ea6ffde14810a0cb17a"
        "ae82a60a2a2ae02a68a87089301d73ac7368c9316446226dfec93cb7e994f340f280f340f0a0e4d9af71f1c1b5b58a7ee564457f"
        "3abfa9f4905adf22d92e47c896a43783be91fc"
    ),
}
