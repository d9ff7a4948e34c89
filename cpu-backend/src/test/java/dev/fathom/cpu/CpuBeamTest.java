package dev.fathom.cpu;

import dev.fathom.golden.BeamContract;

class CpuBeamTest extends BeamContract {

  @Override
  protected String backend() {
    return "cpu";
  }
}
