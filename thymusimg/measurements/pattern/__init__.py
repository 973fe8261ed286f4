"""Statistics of points in windows of any shape: Ripley's K, pair correlation, envelopes, neighbours (P5-P7, R8).

``window`` is where points may lie, ``covariance`` corrects for its edge, ``pairs`` counts, ``functions`` turns
counts into K, L and g, ``nulls`` draws what chance would give, ``envelope`` compares; ``cells`` and ``cross`` put
them together, ``nearest`` and ``empty`` stand by themselves.
"""
