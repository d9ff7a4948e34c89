package dev.fathom.cpu;

import dev.fathom.guide.GuideContract;

class CpuGuideTest extends GuideContract {

  @Override
  protected String backend() {
    return CpuProvider.NAME;
  }
}
