// The heap of the supervisor when it is empty: the process ends where it stands, and the keeper starts
// the next one. Nothing is unwound, for half of the rooms are compiled without exceptions.
#pragma once

/// Before the first allocation that matters.
void end_when_out_of_memory();
