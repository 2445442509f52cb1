import { Fault } from "../../fault/fault.ts";

/** Refused for its own deadline's sake: whoever asks the same with more time may still have a turn. */
export class ShortOfTime extends Fault {}
