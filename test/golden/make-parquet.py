# A small Parquet file as the hub has them, with lists in structs, Zstandard: python test/golden/make-parquet.py test/golden/cases.parquet
import sys

import pyarrow as pa
import pyarrow.parquet as pq

rows = [
    {"id": "q1", "question": "What melts?", "choices": {"text": ["ice", "stone"], "label": ["A", "B"]}, "answerKey": "A", "year": 2007},
    {"id": "q2", "question": "What flies?", "choices": {"text": ["fish", "birds", "rocks"], "label": ["1", "2", "3"]}, "answerKey": "2", "year": None},
]
pq.write_table(pa.Table.from_pylist(rows), sys.argv[1], compression="zstd")
