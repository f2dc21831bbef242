"""One vendor a module: the only place that speaks a vendor's own words or loads its library."""
