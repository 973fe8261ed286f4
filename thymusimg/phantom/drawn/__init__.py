"""The generator "drawn": metaball lobes, islets grown along branching ribs, stellate epithelium, drawn rings."""
