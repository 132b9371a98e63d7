return bring()
