"""What several targets need of a deployment: names, schedules, events, pods, the delivery of code."""
