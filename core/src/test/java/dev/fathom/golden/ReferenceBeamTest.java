package dev.fathom.golden;

class ReferenceBeamTest extends BeamContract {

  @Override
  protected String backend() {
    return "reference";
  }
}
